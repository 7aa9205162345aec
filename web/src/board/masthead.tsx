import { Mark } from '../chrome/mark.tsx';
import { useVisit } from './visit.ts';

/** The site name; it links to the newest posts. */
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
