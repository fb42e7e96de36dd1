/** A program that does nothing: what Bun itself takes to start and to end. */
export {};
