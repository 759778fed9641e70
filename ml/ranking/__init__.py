"""Next product and next category: what stands in a customer's next basket, as of a cutoff.

baskets      who bought what on which day, from lake/customer_product
facts        what is known of an item as of a day: popularity, repurchase, price
candidates   a customer's own items and the popular ones, each with its features
frequency    rankings without learning: popularity, personal frequency, TIFU-KNN
ranker       the learned ranking, shipped where it is shown to beat personal frequency
judging      recall, NDCG, hit rate, coverage, repeat and explore, with intervals
last_orders  each customer's last order, the protocol of published numbers
"""
