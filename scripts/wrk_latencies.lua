-- Prints how long wrk took, in microseconds, how many requests were answered, and each latency with its count.
done = function(summary, latency)
  print("ALL " .. summary.duration .. " " .. summary.requests)
  for index = 1, #latency do
    local value, count = latency(index)
    print("BIN " .. value .. " " .. count)
  end
end
