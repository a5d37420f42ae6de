export { fitLayer } from './layers.js';
