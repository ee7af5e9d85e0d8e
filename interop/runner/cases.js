'use strict';
// The cases of `cases/`: file names, and all of them by name.

const fs = require('fs');
const path = require('path');

const folder = path.join(__dirname, '..', 'cases');

/** Paths of the files that hold cases. */
function caseFiles() {
  const names = fs.readdirSync(folder).filter((name) => name.endsWith('.js'));
  return names.sort().map((name) => path.join(folder, name));
}

/** Every case by its name. */
function allCases() {
  const all = {};
  for (const file of caseFiles()) {
    for (const [name, body] of Object.entries(require(file))) {
      if (name in all) throw new Error(`two cases are named ${name}`);
      all[name] = body;
    }
  }
  return all;
}

module.exports = { allCases, caseFiles };
