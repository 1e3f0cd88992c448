/** Work that has begun, wrapped so that an async generator can hand it on without waiting for it. */
export interface Begun<T> {
  readonly result: Promise<T>
}

/**
 * The results of begun work, in order, each as soon as it is there: while one is awaited, the next ones are begun, up
 * to `parallel` at a time.
 */
export async function* inOrder<T>(work: AsyncIterator<Begun<T>, void>, parallel: number): AsyncGenerator<T, void> {
  const begun: Promise<T>[] = []
  let arriving: Promise<IteratorResult<Begun<T>, void>> | undefined
  let ended = false
  for (;;) {
    if (!ended && begun.length < parallel) arriving ??= work.next()
    const [head] = begun
    if (head === undefined && arriving === undefined) return
    if (await isFirst(head, arriving)) {
      const value = await head
      void begun.shift()
      if (value !== undefined) yield value
      continue
    }
    const next = await arriving
    arriving = undefined
    if (next === undefined || next.done === true) ended = true
    else begun.push(handled(next.value.result))
  }
}

/** Whether the result of `head` is there before another piece of work is. */
async function isFirst(head: Promise<unknown> | undefined, arriving: Promise<unknown> | undefined): Promise<boolean> {
  if (head === undefined) return false
  if (arriving === undefined) return true
  return Promise.race([head.then(() => true), arriving.then(() => false)])
}

/** Failures are seen when their turn comes; until then they must not count as unhandled. */
function handled<T>(result: Promise<T>): Promise<T> {
  result.catch(() => {})
  return result
}
