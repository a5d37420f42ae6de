export * from '../../src/testing/setting.js';
