import type { BenchContext, Content, DownloadPeer, Serving } from '../context.ts'

export interface Servers extends AsyncDisposable {
  readonly list: readonly { readonly name: string; readonly serving: Serving }[]
}

/** Starts every peer on the same content. Disposing stops them all. */
export async function serveAll(
  peers: readonly DownloadPeer[],
  content: Content,
  context: BenchContext,
): Promise<Servers> {
  await using stack = new AsyncDisposableStack()
  const list: { name: string; serving: Serving }[] = []
  for (const peer of peers) {
    context.progress(`starting ${peer.name}`)
    list.push({ name: peer.name, serving: stack.use(await peer.serve(content, context)) })
  }
  const owned = stack.move()
  return { list, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
