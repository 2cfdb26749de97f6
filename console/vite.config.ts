// Builds the console into console/build: files that any static host can serve, under any path.
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  base: './',
  // The content security policy allows no `data:` scripts, and no inline ones.
  build: {
    outDir: 'build',
    license: { fileName: 'licenses.md' },
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2024',
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  logLevel: 'warn',
});
