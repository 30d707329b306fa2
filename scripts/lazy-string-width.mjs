// string-width compiles its tables of emoji when it is loaded, a fifth of the time that the command line takes to start,
// and yargs loads it for its help. In the bundle this stands for it: what is required is loaded at the first call.
export default function stringWidth(...given) {
  return require('../node_modules/string-width/index.js').default(...given);
}
