// Packages a film and throws it away, as a sender does it; prints the most memory it has taken, in bytes.
import { fileSource } from '../../src/client/node/files/file-source.ts'
import { release } from '../../src/client/bytes/buffers.ts'
import { createRemuxer } from '../../src/video/index.ts'

const source = await fileSource(process.argv[2] ?? '')
const { renditions } = await createRemuxer().package({ source }, { signal: new AbortController().signal })
for (const { bytes } of renditions) await bytes.pipeTo(new WritableStream({ write: release }))
console.log(process.resourceUsage().maxRSS * 1024)
