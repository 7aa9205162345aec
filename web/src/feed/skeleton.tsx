/** The shape of what is to come, for the moment until it does. */
export function Skeleton() {
  return (
    <div class="skeleton" aria-hidden="true">
      {[1, 2, 3].map((key) => (
        <div key={key}>
          <span />
          <span />
          <span />
        </div>
      ))}
    </div>
  );
}
