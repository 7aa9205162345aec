import type { OwnUser } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { say } from '../languages/say.ts';
import { canAlert, turnAlertsOff, turnAlertsOn, wantsAlerts } from './alerts.ts';

/** Lets the browser tell of something while nobody looks at the page. It is off until somebody wants it. */
export function AlertsSetting({ me }: { me: OwnUser }) {
  if (!canAlert) return null;
  const on = wantsAlerts.value;
  const turn = async () => {
    if (on) turnAlertsOff(me.id);
    else if (!(await turnAlertsOn(me.id))) notify(say('alerts.refused'), 'failed');
  };
  return (
    <section>
      <h2>{say('alerts.title')}</h2>
      <p class="muted">{say('alerts.what')}</p>
      <p role="status" class={on ? undefined : 'unseen'}>
        {on && say('alerts.isOn')}
      </p>
      <div class="buttons">
        <button type="button" class="secondary" onClick={() => void turn()}>
          {say(on ? 'alerts.turnOff' : 'alerts.turnOn')}
        </button>
      </div>
    </section>
  );
}
