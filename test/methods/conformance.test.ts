import { describeConformance } from './conformance.js';

describeConformance('representatives');
