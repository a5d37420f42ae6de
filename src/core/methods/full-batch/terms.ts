export { affine, squaredDistance } from './rows.js';
