# Draws what report.py wrote: gnuplot -e "folder='build/bench'" bench/plots.gnuplot
set terminal svg size 800,500 background "white"
set datafile separator "\t"
set datafile missing "?"
set grid
set key left top noenhanced
set style data linespoints

set output folder."/cost.svg"
set title "A decision on a random live key"
set xlabel "live keys"
set ylabel "ns"
set logscale xy
set format x "10^{%L}"
plot folder."/cost.tsv" using 1:3 title "limit_req", \
     "" using 1:2 title "weir", \
     "" using 1:4 title "one random access and a clock reading"

set output folder."/lost.svg"
set title "Live keys lost in a zone of 1 MB"
set xlabel "keys inserted"
set ylabel "share of them lost"
unset logscale
set format x "%.0f"
plot folder."/lost.tsv" using 1:3 title "limit_req", "" using 1:2 title "weir"
