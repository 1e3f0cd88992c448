/** One large media sent from memory, as fast as the server takes it. */
import type { Receiving, Row, Sample, UploadPeer } from '../context.ts'
import { sealiftUploads, sealiftUploadsWithoutSync } from '../peers/sealift.ts'
import { tus } from '../peers/tus.ts'
import { cpuSeconds } from '../proc.ts'
import { run } from '../processes.ts'
import { takeTurns } from '../rounds.ts'
import { aimsAgainst, present } from './against.ts'
import { diskSpeed } from './disk-speed.ts'

const GIB = 1024 ** 3

export const upload: Row = {
  name: 'upload',
  title: 'Upload of 1 GiB',
  async run(context) {
    const sizeBytes = context.quick ? GIB / 16 : GIB
    const { able, notes } = await present([sealiftUploads, sealiftUploadsWithoutSync, tus])
    await using stack = new AsyncDisposableStack()
    const contenders = []
    for (const peer of able) contenders.push(contender(peer, stack.use(await peer.receive(context)), sizeBytes))
    const subjects = await takeTurns(contenders, context)
    return {
      row: 'upload',
      title: upload.title,
      unit: 'MB/s',
      subjects,
      aims: aimsAgainst(subjects, [
        { subject: sealiftUploadsWithoutSync.name, peer: tus.name, atLeast: 1.2 },
        { peer: tus.name, atLeast: 0.9 },
      ]),
      notes: [
        ...notes,
        'Sealift takes 4 parts of 8 MiB at once; tus takes one stream, as its protocol demands, and never syncs.',
        `The disk alone, written in order and synced once at the end: ${await diskSpeed(context)} MB/s.`,
      ],
    }
  },
}

function contender(peer: UploadPeer, server: Receiving, sizeBytes: number) {
  return { name: peer.name, measure: () => measure(server, sizeBytes) }
}

/** What earlier uploads left for the kernel to write is written first, so that no one pays for another's bytes. */
async function measure(server: Receiving, sizeBytes: number): Promise<Sample> {
  await run({ command: 'sync', args: [] })
  const cpuBefore = await cpuSeconds(server.pid)
  const seconds = await server.upload(sizeBytes)
  const serverCpuSeconds = (await cpuSeconds(server.pid)) - cpuBefore
  await server.clear()
  return { value: sizeBytes / 1e6 / seconds, serverCpuSeconds }
}
