import { accessQuestions } from './access-questions.ts';
import type { Bench } from './bench.ts';
import { faultQuestions } from './fault-questions.ts';
import { linkQuestions } from './link-questions.ts';
import { moneyQuestions } from './money-questions.ts';
import { paymentQuestions } from './payment-questions.ts';
import { webhookQuestions } from './webhook-questions.ts';

/** One thing a provider has to do right; `ask` throws when it does not. */
export interface Question {
  name: string;
  ask(bench: Bench): Promise<void>;
}

/** Everything this provider is asked, by the abilities its account has. Each question makes links of its own. */
export const questionsFor = (bench: Bench): Question[] => [
  ...linkQuestions(bench),
  ...paymentQuestions(bench),
  ...moneyQuestions(bench),
  ...webhookQuestions(bench),
  ...accessQuestions(bench),
  ...faultQuestions(bench),
];
