/** The `opcode` of a text message in one frame (RFC 6455, 5.2): FIN and 1. */
const FINAL_TEXT = 0x81;

/**
 * A text as a server sends it over a WebSocket: one unmasked frame, in one piece and in memory of its own. A slice of Node's
 * shared 8 kB would keep all of it from being freed.
 * @param text in UTF-8
 */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafeSlow(header + length);
  frame[0] = FINAL_TEXT;
  if (header === 2) frame[1] = length;
  else if (header === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.write(text, header);
  return frame;
}
