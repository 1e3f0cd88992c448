import type { CryptoSuite } from '../../sealing/index.ts'
import type { OriginalMaker } from '../film-maker.ts'
import { describeOriginal } from './describe-original.ts'
import { SampleIndex } from './sample-index.ts'

/** Tells how a file is rebuilt from the film that was made of it. Keeps an index of the film's samples meanwhile. */
export function originalMaker(suite: Pick<CryptoSuite, 'sha256'>): OriginalMaker {
  return {
    watch: (film, file, signal) => {
      const index = new SampleIndex(suite)
      const { runs, literalShare } = describeOriginal(file, index, { suite, signal })
      // Whatever its share, the file comes back; it is only told to those who ask.
      literalShare.catch(() => undefined)
      return { bytes: index.watch(film), runs }
    },
  }
}
