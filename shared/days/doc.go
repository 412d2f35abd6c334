// Package days computes what a person's civil days hold, in numbers: of each
// type and unit the count, and the least, greatest, sum and mean of the values.
//
// The numbers are kept in parts. A part is what one source contributes: the
// blocks of one UTC day, or one recording. It can be made again at any time from
// exactly that source, so it does not matter how often, in which order, or by
// how many at once its maker is told of changes; and what an owner's day holds is
// the sum of the parts that touch it. (One row a civil day would need several
// UTC days and all recordings of the day to be read for each change of one.)
//
// A civil day is the date of a reading's start in the offset that the reading
// has: a block of one UTC day touches three civil days at most.
//
// All sums are exact. A mean is rounded to six decimals, half to even.
package days
