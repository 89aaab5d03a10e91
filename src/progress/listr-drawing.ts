/** A build view drawn by listr2: one task for each stage, its steps below. Events drive the steps; listr2 only shows them. */
import { createWritable, Listr, ListrLogger, type ListrTask, ProcessOutput } from 'listr2';
import { outputText } from '../text/terminal-text.ts';
import type { BuildView, StepView } from './build-view.ts';
import type { Screen } from './screen.ts';
import type { Drawing } from './tty.ts';
import { stageText, stepText, transferLines } from './view-text.ts';

const REFRESH_MS = 100;
/** Lines of a running step's output. */
const OUTPUT_LINES = 6;

/** The part of listr2's ListrTaskWrapper that is used; setting either redraws. */
interface ListrHandle {
  title: string;
  output: string;
}

/** Starts to draw; `view` is read ten times a second until `end`. */
export function openListrDrawing(view: BuildView, screen: Screen): Drawing {
  let picture = startPicture(view, screen);
  const timer = setInterval(() => {
    // A plan that comes after the first transfer needs another list of tasks.
    if (picture.stages === view.stages) return picture.refresh();
    const before = picture;
    picture = { stages: view.stages, refresh: () => {}, end: async () => {} };
    before.end().then(() => {
      picture = startPicture(view, screen);
    });
  }, REFRESH_MS);
  return {
    async end() {
      clearInterval(timer);
      await picture.end();
    },
  };
}

interface Picture {
  readonly stages: BuildView['stages'];
  refresh(): void;
  end(): Promise<void>;
}

/** What is drawn of one step or stage: listr2's task once it has started, and the promise that keeps it open. */
interface Line {
  task: ListrHandle | undefined;
  readonly isOpen: () => boolean;
  readonly text: () => string;
  readonly step: StepView | undefined;
  readonly done: { readonly promise: Promise<void>; resolve(error?: Error): void };
}

function startPicture(view: BuildView, screen: Screen): Picture {
  const lines: Line[] = [];
  const stages = view.stages.map((stage) => {
    const steps = stage.steps.map((step) => stepLine(step, screen));
    const line = stageLine(stage, screen);
    lines.push(line, ...steps);
    return listrTask(line, steps);
  });
  const transfers: Line = {
    ...{ task: undefined, step: undefined, isOpen: () => true, done: deferred() },
    text: () => transferLines(view.transfers.values()).join('\n'),
  };
  lines.push(transfers);
  const list = new Listr([...stages, listrTask(transfers, [])], {
    ...{ concurrent: true, exitOnError: false, registerSignalListeners: false, forceTTY: false, fallbackRendererCondition: false },
    rendererOptions: {
      ...{ collapseSubtasks: false, collapseErrors: false, showErrorMessage: false, formatOutput: 'truncate' },
      logger: new ListrLogger({ processOutput: new ProcessOutput(screen.stream, createWritable(() => {}) as NodeJS.WriteStream) }),
    },
  });
  const running = list.run();
  const refresh = (): void => {
    for (const line of lines) drawLine(line, screen);
  };
  return {
    stages: view.stages,
    refresh,
    async end() {
      refresh();
      for (const line of lines) line.done.resolve();
      await running;
    },
  };
}

function stepLine(step: StepView, screen: Screen): Line {
  return {
    ...{ task: undefined, step, done: deferred() },
    isOpen: () => step.state === 'waiting' || step.state === 'running',
    text: () => stepText(step, screen.paint),
  };
}

function stageLine(stage: BuildView['stages'][number], screen: Screen): Line {
  const isOpen = (): boolean => stage.steps.some(({ state }) => state === 'waiting' || state === 'running');
  return { task: undefined, step: undefined, done: deferred(), isOpen, text: () => stageText(stage, screen.paint) };
}

/** Steps of a stage follow each other, so only the one that runs spins. */
function listrTask(line: Line, steps: readonly Line[]): ListrTask {
  const text = line.text();
  return {
    ...(text === '' ? {} : { title: text }),
    rendererOptions: { outputBar: OUTPUT_LINES },
    task: (_, task) => {
      line.task = task;
      // The step may have gone on, or ended, since the list was made.
      const now = line.text();
      if (now !== '') task.title = now;
      if (steps.length === 0) return line.done.promise;
      return task.newListr(
        steps.map((step) => listrTask(step, [])),
        { concurrent: false, exitOnError: false },
      );
    },
  };
}

/** Brings the task up to date, and ends it with its step. */
function drawLine({ task, step, text, isOpen, done }: Line, screen: Screen): void {
  if (task === undefined) {
    if (!isOpen()) done.resolve(step?.state === 'failed' ? new Error('failed') : undefined);
    return;
  }
  const title = text();
  if (title !== '' && task.title !== title) task.title = title;
  if (step !== undefined) {
    for (const line of step.newLines.slice(-OUTPUT_LINES)) task.output = outputText(line, screen.colours) || ' ';
    step.newLines = [];
  }
  if (!isOpen()) done.resolve(step?.state === 'failed' ? new Error('failed') : undefined);
}

function deferred(): Line['done'] {
  let settle: (error?: Error) => void = () => {};
  const promise = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === undefined ? resolve() : reject(error));
  });
  // A step may fail before listr2 looks at it.
  promise.catch(() => {});
  return { promise, resolve: (error) => settle(error) };
}
