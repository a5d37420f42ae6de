export { positiveShare, trainingScores } from './layers.js';
