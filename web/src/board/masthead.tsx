import { Mark } from '../chrome/mark.tsx';
import { useVisit } from './visit.ts';

/** The name of the house; it leads to the top of the newest posts. */
export function Masthead() {
  const visit = useVisit();
  return (
    <a
      class="masthead"
      href="/"
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        visit.go({ sort: 'new', search: '' });
      }}
    >
      <Mark />
      <span>Tidings</span>
    </a>
  );
}
