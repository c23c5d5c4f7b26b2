// node play.js SCRIPT ROWS: plays every row against the page's script and prints what came of each, one JSON a line.
'use strict';
const fs = require('node:fs');
const {World} = require('./world.js');

(async () => {
  const script = fs.readFileSync(process.argv[2], 'utf8');
  for (const row of JSON.parse(fs.readFileSync(process.argv[3], 'utf8'))) {
    let outcome;
    try { outcome = await new World(row).play(script); }
    catch (error) { outcome = {name: row.name, error: String(error.stack || error)}; }
    console.log(JSON.stringify(outcome));
  }
})();
