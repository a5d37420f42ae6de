/** Finds the best run below a folder, and reads its learning curve. */
import { listRuns, look } from 'fenchel-lifted-networks';

const folder = process.argv[2] ?? 'results';
const { runs, problems } = listRuns([folder], { where: ['method!=sgd'], best: 'test_accuracy' });
for (const { message } of problems) console.error(message);

for (const listed of runs.slice(0, 3)) {
  const { directory, method, seed, test_accuracy: accuracy } = listed.fields;
  console.log(
    `${directory} ${method}, seed ${seed}: ${accuracy} with ${look(listed, 'epochs')} epochs`,
  );
}
