/**
 * The first import of every entry for Node: on an older Node the next one would fail inside a library. This file uses
 * nothing that an older Node lacks.
 */
const OLDEST_NODE = 24

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  const found = `this is Node ${process.versions.node} (${process.execPath})`
  throw new Error(`sealift/node needs Node ${OLDEST_NODE} or newer; ${found}`)
}
