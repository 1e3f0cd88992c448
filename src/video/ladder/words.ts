/** Arguments of a command line, cut at blanks: for those that hold none. */
export const words = (line: string): string[] => line.split(' ')
