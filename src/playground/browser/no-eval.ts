import { config } from 'zod';

/** The page's policy allows no code from text, which zod would try as soon as a schema is made: imported before those. */
config({ jitless: true });
