import type { SealiftError } from '../../../protocol/errors.ts'
import type { Credential } from '../../access/caller.ts'
import type { Sessions } from '../../access/sessions.ts'

/** The right to a slot: lost when the credential is revoked, be it in line or with the slot in hand. */
export class SlotRight implements Disposable {
  readonly #watch: Disposable | null
  #lost: SealiftError | null = null
  #tell: ((reason: SealiftError) => void) | null = null

  constructor(sessions: Pick<Sessions, 'watch'> | null, credential: Credential | undefined) {
    this.#watch = credential ? (sessions?.watch(credential, reason => this.#lose(reason)) ?? null) : null
  }

  /** Replaces who is told; tells at once when it is lost already. */
  whenLost(tell: (reason: SealiftError) => void): void {
    this.#tell = tell
    if (this.#lost) tell(this.#lost)
  }

  #lose(reason: SealiftError): void {
    this.#lost = reason
    this.#tell?.(reason)
  }

  [Symbol.dispose](): void {
    this.#tell = null
    this.#watch?.[Symbol.dispose]()
  }
}
