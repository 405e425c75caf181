// Package proof_test holds the whole daemon against what it promises: every random
// concurrent history of its registry, through the real API and the real broker, is
// one that a single clerk with a pencil could have written, also across kills; and
// each of the eight defects of the system it replaces is shown to befall that design,
// re-created in a few lines, and not this one.
package proof_test
