import module from 'node:module';
import { join } from 'node:path';

// Stack traces name the lines of the TypeScript. Node reads the source map of a module when it loads it: so this module, which is
// loaded before, has nothing else.
process.setSourceMapsEnabled(true);
// Node.js from 22.1 on keeps what it has compiled for the next start. Beside the program, where nobody else may write; where the
// service may not write either, it starts as without.
const { enableCompileCache } = module as { enableCompileCache?: (folder: string) => unknown };
if (import.meta.filename.endsWith('.js')) enableCompileCache?.(join(import.meta.dirname, '.compile-cache'));
const { runProgram } = await import('./program.ts');
runProgram();
