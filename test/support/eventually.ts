/** Waits until `isTrue`, looking every few milliseconds; fails with `what` after `withinMs`. */
export async function eventually(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  withinMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`Still not so after ${withinMs} ms: ${what}`)
    await new Promise(resolve => {
      setTimeout(resolve, 10)
    })
  }
}
