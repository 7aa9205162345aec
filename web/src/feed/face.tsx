/** A round initial in a colour of the person's own, so that a face is known again at a glance. */
export function Face({ id, name }: { id: number; name: string }) {
  // Multiples of the golden angle: neighbours are far apart.
  const hue = Math.round((id * 137.508) % 360);
  return (
    <span class="face" aria-hidden="true" style={{ '--hue': hue }}>
      {name.slice(0, 1).toUpperCase()}
    </span>
  );
}
