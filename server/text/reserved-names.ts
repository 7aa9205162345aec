/** Names that speak for the service or its staff, alone or joined: `tidings-support`. */
const authorities = [
  'abuse',
  'admin',
  'administrator',
  'billing',
  'help',
  'helpdesk',
  'hostmaster',
  'mod',
  'moderation',
  'moderator',
  'moderators',
  'noreply',
  'official',
  'operator',
  'owner',
  'postmaster',
  'root',
  'security',
  'service',
  'staff',
  'superuser',
  'support',
  'sysadmin',
  'system',
  'team',
  'tidings',
  'webmaster',
];

/** Words that mean somebody or something else in addresses, texts and programs. */
const words = [
  'account',
  'anonymous',
  'api',
  'app',
  'assets',
  'asyncapi',
  'bot',
  'daemon',
  'deleted',
  'docs',
  'events',
  'everybody',
  'everyone',
  'feed',
  'healthz',
  'home',
  'login',
  'logout',
  'me',
  'metrics',
  'myself',
  'notifications',
  'null',
  'openapi',
  'posts',
  'readyz',
  'redoc',
  'refresh',
  'register',
  'server',
  'sessions',
  'settings',
  'signup',
  'socketio',
  'undefined',
  'users',
  'vote',
  'www',
];

/** Digits and letters that look like another letter, each as one of the two. */
const lookAlikes: Record<string, string> = { 0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's', 7: 't', 8: 'b', l: 'i' };

/** What a name looks like: without case and separators. */
function skeleton(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[._-]/g, '')
    .replaceAll(/[0134578l]/g, (character) => lookAlikes[character] ?? character)
    .replaceAll('rn', 'm')
    .replaceAll('vv', 'w');
}

const authority = new RegExp(`^(?:${authorities.map(skeleton).join('|')})+$`);
const reserved = new Set(words.map(skeleton));

/**
 * Whether nobody may choose this username: it would speak for the service or its staff, or mean something else. So would one that
 * looks like it (`Adm1n`, `s_y_s_t_e_m`), has a number behind it (`admin2`) or joins two (`tidings-support`).
 */
export function isReservedName(name: string): boolean {
  return [name, name.replace(/\d+$/, '')].some((form) => {
    const looks = skeleton(form);
    return reserved.has(looks) || authority.test(looks);
  });
}
