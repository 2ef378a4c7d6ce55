// How the page is built: one entry, a file per view, and each file beside itself in a compressed form, so that the
// service that carries them has nothing to compress.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import preact from '@preact/preset-vite';
import { defineConfig, type Plugin } from 'vite';

/** Files that get smaller by it, and are large enough for it to matter. */
const COMPRESSIBLE = /\.(js|css|html|svg|json)$/;
const SMALLEST = 1024;

/** Compresses what was written: before that, what other plugins put into files may not be there yet. */
function precompress(): Plugin {
  return {
    name: 'precompress',
    apply: 'build',
    writeBundle({ dir }, bundle) {
      for (const name of Object.keys(bundle)) {
        const path = join(dir ?? '', name);
        const bytes = readFileSync(path);
        if (!COMPRESSIBLE.test(name) || bytes.length < SMALLEST) continue;
        const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }));
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
      }
    },
  };
}

/** Where the service runs while the page is being worked on. */
const service = process.env['TRACKSIDE_URL'] ?? 'http://127.0.0.1:8080';
const behind = ['/api', '/signin', '/signout', '/setup', '/join', '/reset', '/account', '/oauth', '/docs', '/health', '/pages.css', '/openapi.json', '/mcp', '/webhooks'];

export default defineConfig({
  plugins: [preact({ reactAliasesEnabled: false, prefreshEnabled: true }), precompress()],
  build: {
    target: 'es2022',
    // A data: address would need a wider policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: {
    port: 5173,
    // The host that is asked stays the page's own: writes by cookie are taken from it alone.
    proxy: Object.fromEntries(behind.map((path) => [path, { target: service, changeOrigin: false, ws: path === '/api' }])),
  },
});
