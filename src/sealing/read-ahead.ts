/** Work that has begun, wrapped so that an async generator can hand it on without waiting for it. */
export interface Begun<T> {
  readonly result: Promise<T>
}

/** Marks work as begun. Its failure is seen when its turn comes, if ever: until then it does not count as unhandled. */
export function begun<T>(result: Promise<T>): Begun<T> {
  result.catch(ignore)
  return { result }
}

/**
 * The results of begun work, in order, each as soon as it is there: while one is awaited, the next ones are begun, up
 * to `parallel` at a time. Ends the source of work when the caller stops early or a result fails, without waiting for
 * it: a source that hangs must be stopped by other means.
 */
export async function* inOrder<T>(work: AsyncGenerator<Begun<T>, void>, parallel: number): AsyncGenerator<T, void> {
  const waiting: Begun<T>[] = []
  let arriving: Promise<IteratorResult<Begun<T>, void>> | undefined
  let ended = false
  try {
    for (;;) {
      if (!ended && waiting.length < parallel) arriving ??= work.next()
      const [head] = waiting
      if (head !== undefined && (await isFirst(head.result, arriving))) {
        waiting.shift()
        yield await head.result
      } else if (arriving !== undefined) {
        const next = await arriving
        arriving = undefined
        if (next.done === true) ended = true
        else waiting.push(next.value)
      } else return
    }
  } finally {
    work.return().catch(ignore)
  }
}

/** Whether the result of `head` is there before another piece of work is. */
async function isFirst(head: Promise<unknown>, arriving: Promise<unknown> | undefined): Promise<boolean> {
  if (arriving === undefined) return true
  return Promise.race([head.then(() => true), arriving.then(() => false)])
}

function ignore(): void {}
