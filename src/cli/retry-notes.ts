import { isSealiftError, type RetryEvent } from '../client/node/index.ts'
import type { ProgressView } from './terminal/progress-view.ts'

/** What is over sooner is not worth a word. */
const WORTH_A_WORD_MS = 1000

/** Says where the progress is shown that something is tried again, so that nobody looks at bars that stand still. */
export class RetryNotes {
  #view: ProgressView | null = null

  showOn(view: ProgressView): void {
    this.#view = view
  }

  readonly onRetry = ({ error, waitMs, failingMs }: RetryEvent): void => {
    if (failingMs + waitMs >= WORTH_A_WORD_MS) this.#view?.trouble({ what: whatHappened(error), waitMs })
  }
}

function whatHappened(error: Error): string {
  if (isSealiftError(error, 'network', 'stalled')) return 'connection lost'
  if (isSealiftError(error, 'unavailable', 'shutting_down')) return 'the server is not available'
  if (isSealiftError(error, 'rate_limited', 'too_many_uploads', 'too_many_downloads', 'too_many_pending')) {
    return 'the server is busy'
  }
  return 'the server failed'
}
