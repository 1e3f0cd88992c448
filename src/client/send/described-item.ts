import type { ManifestItem } from '../manifest.ts'
import type { SendItem } from '../api/options.ts'

type Described = Pick<ManifestItem, 'name' | 'type' | 'preview' | 'modifiedAt'>

/** What the sender says of an item, as it stands in the manifest from the first version on. */
export function describedItem(item: SendItem): Described {
  return {
    name: item.name,
    type: item.type ?? 'application/octet-stream',
    ...(item.preview && { preview: item.preview }),
    ...(item.modifiedAt !== undefined && { modifiedAt: item.modifiedAt }),
  }
}
