import { describeConformance } from './conformance.js';

describeConformance('others');
