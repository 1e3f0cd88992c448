// Compiles src/ into dist/. Runs on `npm ci` (the `prepare` script), so that `npm start` and `npx sealift` work at once.
import { execFileSync } from 'node:child_process'
import { chmodSync, rmSync, symlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
rmSync(`${root}dist`, { recursive: true, force: true })
execFileSync('npx', ['tsc', '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
chmodSync(`${root}dist/cli/main.js`, 0o755)

// `npx sealift` finds the command here at once; without it npx would install the package anew from its own folder.
const link = `${root}node_modules/.bin/sealift`
rmSync(link, { force: true })
symlinkSync('../../dist/cli/main.js', link)
