// Stack traces name the lines of the TypeScript. Node reads the source map of a module when it loads it: so this module, which is
// loaded before, has nothing else.
process.setSourceMapsEnabled(true);
const { runProgram } = await import('./program.ts');
runProgram();

export {};
