#!/usr/bin/env -S node --max-semi-space-size=2 --heap-growing-percent=50
/**
 * The `sealift` command. Looks at the Node it runs on before anything else is loaded: an older one would fail on the
 * first thing it does not know, with a message that does not help. So this file uses nothing that is new.
 *
 * The first line keeps the heap small: what streams through dies soon, so a larger young generation, or an old one that
 * may grow to four times its size before it is looked at, only holds a hundred megabytes more of what is garbage.
 */
const OLDEST_NODE = 24

if (Number(process.versions.node.split('.')[0]) >= OLDEST_NODE) {
  const { keepCompiledCode } = await import('./compile-cache.ts')
  keepCompiledCode(process.env)
  const { runProcess } = await import('./run-process.ts')
  process.exitCode = await runProcess()
} else {
  const found = `this is Node ${process.versions.node} (${process.execPath})`
  process.stderr.write(`sealift: Node ${OLDEST_NODE} or newer is needed; ${found}.\n`)
  process.exitCode = 1
}
