/** The arrow of a vote. */
export function VoteMark() {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d="M8 2.500 14 10.500H10.500V13.500H5.500V10.500H2Z" />
    </svg>
  );
}
