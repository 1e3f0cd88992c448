import type { CryptoSuite } from '../../sealing/index.ts'
import type { OriginalMaker } from '../film-maker.ts'
import { describeOriginal } from './describe-original.ts'
import { SampleIndex } from './sample-index.ts'

/**
 * Tells how files are put together from the films that were made of them by copying: see "Original" in
 * `docs/format.md`. Reads the file once more, when all of the film has come.
 */
export function originalMaker(suite: Pick<CryptoSuite, 'sha256'>): OriginalMaker {
  return {
    watch: (film, file, signal) => {
      const index = new SampleIndex(suite)
      return { bytes: index.watch(film), runs: describeOriginal(file, index, { suite, signal }).runs }
    },
  }
}
