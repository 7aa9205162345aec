/** The mark: a tide that comes in three waves. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <circle cx="16" cy="16" r="16" />
      <path d="M6 12.5c3.3-3.4 6.7-3.4 10 0s6.7 3.4 10 0" />
      <path d="M8 19c2.7-2.8 5.3-2.8 8 0s5.3 2.8 8 0" opacity=".65" />
      <path d="M12 24.6c1.3-1.3 2.7-1.3 4 0s2.7 1.3 4 0" opacity=".35" />
    </svg>
  );
}
