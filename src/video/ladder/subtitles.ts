import type { PackagedSubtitles } from '../packager.ts'
import type { LadderRun } from './ladder-run.ts'
import type { LadderPlan } from './ladder-plan.ts'
import type { PrivateFolder } from './private-folder.ts'

/** Behind the ladder, which is what people wait for. */
const NICENESS = 10

/** All of them in one run of its own, since what is rare in a file must not hold up what is not. */
export function extractSubtitles(run: LadderRun, folder: PrivateFolder, plan: LadderPlan): PackagedSubtitles[] {
  if (plan.subtitles.length === 0) return []
  const { format, seconds } = plan
  const outputs = plan.subtitles.map(({ stream }, index) => ({
    options: ['-map', `0:${stream}`, '-c:s', 'webvtt', '-map_metadata', '-1', '-f', 'webvtt'],
    url: folder.url(fileOf(index)),
  }))
  // What came before the damage is still of use; an abort is told to whoever reads the tracks.
  const done = run.run({ format, seconds, niceness: NICENESS, outputs }).catch(() => undefined)
  return plan.subtitles.map(({ language, name, isDefault, isForced }, index) => {
    const text = run.track(done.then(() => textOf(folder, index)))
    text.catch(() => undefined)
    return {
      ...(language !== undefined && { language }),
      ...(name !== undefined && { name }),
      isDefault,
      isForced,
      text,
    }
  })
}

const fileOf = (index: number): string => `subtitles${index}.vtt`

async function textOf(folder: PrivateFolder, index: number): Promise<Uint8Array<ArrayBuffer>> {
  const written = await folder.read(fileOf(index))
  return written && written.byteLength > 0 ? written : new TextEncoder().encode('WEBVTT\n\n')
}
