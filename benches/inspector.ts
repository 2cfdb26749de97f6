interface Target {
  id: string;
  webSocketDebuggerUrl: string;
}

interface Message {
  id?: number;
  result?: unknown;
  error?: { message: string };
  method?: string;
  params?: unknown;
}

/** One Worker, by the inspector of workerd: commands of the Chrome DevTools Protocol. */
export class Inspector {
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #events = new Map<string, (params: unknown) => void>();
  #last = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#take(JSON.parse(String(data)) as Message));
    socket.addEventListener('close', () => {
      for (const { reject } of this.#answers.values()) reject(new Error('the inspector has gone'));
    });
  }

  /** Connects to a Worker by its name. */
  static async of(url: URL, worker: string): Promise<Inspector> {
    const targets = (await (await fetch(`http://${url.host}/json/list`)).json()) as Target[];
    const target = targets.find(({ id }) => id.endsWith(`:${worker}`));
    if (target === undefined) throw new Error(`the inspector knows no Worker ${worker}`);
    const socket = new WebSocket(target.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error(`the inspector does not let in to ${worker}`)));
    });
    return new Inspector(socket);
  }

  async send<T>(method: string, params: object = {}): Promise<T> {
    const answer = Promise.withResolvers<unknown>();
    this.#last += 1;
    this.#answers.set(this.#last, answer);
    this.#socket.send(JSON.stringify({ id: this.#last, method, params }));
    return (await answer.promise) as T;
  }

  /** The first event of a name from now on. */
  async next<T>(event: string): Promise<T> {
    return await new Promise((resolve) => this.#events.set(event, (params) => resolve(params as T)));
  }

  close(): void {
    this.#socket.close();
  }

  #take({ id, result, error, method, params }: Message): void {
    if (id === undefined) {
      this.#events.get(method ?? '')?.(params);
      return;
    }
    const answer = this.#answers.get(id);
    this.#answers.delete(id);
    if (error === undefined) answer?.resolve(result);
    else answer?.reject(new Error(error.message));
  }
}
