/** What is looked for when it is needed first, and then known; when it was not found, it is looked for again. */
export function foundOnce<T>(find: () => Promise<T>): () => Promise<T> {
  let found: Promise<T> | null = null
  return () =>
    (found ??= find().catch((error: unknown) => {
      found = null
      throw error
    }))
}
