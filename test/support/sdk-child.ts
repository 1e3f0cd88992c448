/**
 * A client in a process of its own, to be killed at any moment: `node sdk-child.ts send|receive HOME SERVER …`.
 * Prints the link, or `done`, when it has ended by itself.
 */
import { clientIn } from './sdk.ts'

const [job, home = '', server = '', ...rest] = process.argv.slice(2)
await using sealift = clientIn(home, { server })
if (job === 'send') {
  const items = rest.map(path => ({ path, name: path.slice(path.lastIndexOf('/') + 1) }))
  const sent = await sealift.sendFiles(items, { onProgress: () => process.stdout.write('.') })
  process.stdout.write(`\n${sent.resumed ? 'resumed' : 'fresh'} ${sent.link}\n`)
} else {
  const [link = '', directory = ''] = rest
  const received = await sealift.receive(link, { directory, onProgress: () => process.stdout.write('.') })
  const failed = received.items.find(item => item.error)?.error
  process.stdout.write(failed ? `\nfailed ${String(failed)}\n` : '\ndone\n')
}
