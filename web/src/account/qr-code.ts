import { encodeQR } from 'qr';

/** The light margin that readers need. Modules. */
const MARGIN = 4;

export interface QrCode {
  /** Of its sides. Modules. */
  size: number;
  /** Its dark modules, as the path of an SVG. */
  path: string;
}

/** With little error correction, so that its modules are large: a screen has no stains. */
export function qrCode(text: string): QrCode {
  const rows = encodeQR(text, 'raw', { ecc: 'low', border: MARGIN });
  const dark = rows.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])));
  return { size: rows.length, path: dark.join('') };
}
