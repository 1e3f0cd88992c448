/** For `--import`: writes the address of each module that this process or a thread of it loads into a file. */
import { appendFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { isMainThread } from 'node:worker_threads'

const file = process.env['SEALIFT_TEST_LOADED']

registerHooks({
  load(url, context, next) {
    if (file !== undefined) appendFileSync(file, `${isMainThread ? 'main' : 'thread'} ${url}\n`)
    return next(url, context)
  },
})
