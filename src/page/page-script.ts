/** The page's only script: unfolding, filtering, and opening what a link leads to. The page is whole without it. */
export const PAGE_SCRIPT = `'use strict';
(() => {
  const steps = [...document.querySelectorAll('details.step')];
  const stages = [...document.querySelectorAll('.stage')];
  const filter = document.getElementById('filter');
  const found = document.getElementById('found');
  const unfold = document.getElementById('unfold');
  const choices = [...document.querySelectorAll('[data-show]')];
  let shown = 'all';
  const texts = new Map();
  const textOf = (step) => {
    if (!texts.has(step)) texts.set(step, step.textContent.toLowerCase());
    return texts.get(step);
  };
  const apply = () => {
    const words = filter.value.trim().toLowerCase();
    let count = 0;
    for (const step of steps) {
      const fits = (shown === 'all' || step.dataset.state === shown) && (words === '' || textOf(step).includes(words));
      step.hidden = !fits;
      if (fits) count++;
    }
    for (const stage of stages) stage.hidden = stage.querySelector('details.step:not([hidden])') === null;
    for (const choice of choices) choice.setAttribute('aria-pressed', String(choice.dataset.show === shown));
    found.textContent = shown === 'all' && words === '' ? '' : count + (count === 1 ? ' step' : ' steps');
  };
  for (const choice of choices) {
    choice.addEventListener('click', () => {
      shown = choice.dataset.show;
      apply();
    });
  }
  filter?.addEventListener('input', apply);
  unfold?.addEventListener('click', () => {
    const open = unfold.getAttribute('aria-pressed') !== 'true';
    unfold.setAttribute('aria-pressed', String(open));
    unfold.textContent = open ? 'fold' : 'unfold';
    for (const step of steps) if (!step.hidden) step.open = open;
  });
  const follow = () => {
    const target = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
    if (!(target instanceof HTMLDetailsElement)) return;
    if (target.hidden && filter) {
      shown = 'all';
      filter.value = '';
      apply();
    }
    target.open = true;
    target.scrollIntoView({ block: 'start' });
    target.querySelector('summary').focus({ preventScroll: true });
  };
  addEventListener('hashchange', follow);
  follow();
  document.documentElement.dataset.ready = 'true';
})();
`;
