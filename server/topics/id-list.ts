/**
 * Ids in ascending order, in a text of one byte for each seven bits of the distance to the one before: two bytes for
 * most. A node has a list for each of thousands of users, and an array takes four or eight bytes for each id and some
 * hundred for itself. It never changes: another one takes its place.
 */
export type IdList = string;

export const NO_IDS: IdList = '';

export function idList(ids: Iterable<number>): IdList {
  let before = 0;
  let list = '';
  for (const id of [...new Set(ids)].sort((a, b) => a - b)) {
    let distance = id - before;
    before = id;
    for (; distance >= 128; distance = Math.floor(distance / 128))
      list += String.fromCharCode(128 + (distance % 128));
    list += String.fromCharCode(distance);
  }
  // In one piece: as it has been put together it is a tree of pieces.
  return Buffer.from(list, 'latin1').toString('latin1');
}

export function* idsOf(list: IdList): Generator<number, void> {
  let id = 0;
  let distance = 0;
  let factor = 1;
  for (let at = 0; at < list.length; at += 1) {
    const byte = list.charCodeAt(at);
    distance += (byte % 128) * factor;
    factor *= 128;
    if (byte >= 128) continue;
    id += distance;
    distance = 0;
    factor = 1;
    yield id;
  }
}

export function withId(list: IdList, id: number): IdList {
  return idList([...idsOf(list), id]);
}

export function withoutId(list: IdList, id: number): IdList {
  return idList([...idsOf(list)].filter((one) => one !== id));
}
